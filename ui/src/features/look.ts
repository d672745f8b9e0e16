// How a finding of the engine looks: its icon and its word.

import CircleCheck from '@lucide/svelte/icons/circle-check';
import Info from '@lucide/svelte/icons/circle-dashed';
import OctagonAlert from '@lucide/svelte/icons/octagon-alert';
import TriangleAlert from '@lucide/svelte/icons/triangle-alert';
import type { Severity } from '../ipc/bindings';
import type { FindingLook } from '../kit/FindingCard.svelte';
import { m } from '../paraglide/messages.js';

export function lookOf(severity: Severity | 'fixed'): FindingLook {
  switch (severity) {
    case 'stop':
      return { tone: 'danger', icon: OctagonAlert, word: m.severity_stop() };
    case 'warning':
      return { tone: 'warn', icon: TriangleAlert, word: m.severity_warning() };
    case 'note':
      return { tone: 'info', icon: Info, word: m.severity_note() };
    case 'fixed':
      return { tone: 'good', icon: CircleCheck, word: m.severity_fixed() };
    default:
      return severity satisfies never;
  }
}
