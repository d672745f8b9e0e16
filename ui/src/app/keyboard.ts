// The keys of the whole window. No single letters, and Esc never stops a task.

import { go } from '../kit/go';

export type KeyActs = {
  checkNow(): void;
  backUp(): void;
  lock(): void;
  textSize(change: 1 | -1 | 0): void;
  close(): void;
  quit(): void;
};

const PLACES = [[], ['backups'], ['history'], ['settings'], ['help']];
const REGIONS = ['rail', 'page', 'footer'];

export function onKey(event: KeyboardEvent, acts: KeyActs): void {
  if (act(event, acts)) event.preventDefault();
}

function act(event: KeyboardEvent, acts: KeyActs): boolean {
  const { key } = event;
  if (key === 'F6') return nextRegion(event.shiftKey);
  if (key === 'F1') return (go('help'), true);
  // The page itself is never loaded again.
  if (key === 'F5') return (acts.checkNow(), true);
  if (event.altKey && key === 'ArrowLeft') return (history.back(), true);
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return false;
  const place = PLACES[Number(key) - 1];
  if (place) return (go(...place), true);
  switch (key.toLowerCase()) {
    case 'r':
      return (acts.checkNow(), true);
    case ',':
      return (go('settings'), true);
    case 'b':
      return (acts.backUp(), true);
    case 'l':
      return (acts.lock(), true);
    case 'f':
      return focusFilter();
    case '+':
    case '=':
      return (acts.textSize(1), true);
    case '-':
      return (acts.textSize(-1), true);
    case '0':
      return (acts.textSize(0), true);
    case 'w':
      return (acts.close(), true);
    case 'q':
      return (acts.quit(), true);
    default:
      return false;
  }
}

function focusFilter(): boolean {
  const field = document.querySelector<HTMLElement>('[data-filter]');
  field?.focus();
  return field !== null;
}

const FOCUSABLE = 'a[href], button:not([disabled]), input, select, [tabindex="0"]';

/** F6: rail, page, footer and round again, each at its first control. */
function nextRegion(isBackwards: boolean): boolean {
  const regions = REGIONS.map((it) => document.querySelector<HTMLElement>(`[data-region="${it}"]`)).filter(
    (it) => it !== null,
  );
  const holding = regions.filter((it) => it.contains(document.activeElement));
  // The footer lies inside the page: the innermost counts.
  const here = regions.indexOf(holding.at(-1) as HTMLElement);
  const next = regions.at((here + (isBackwards ? -1 : 1) + regions.length) % regions.length);
  const title = next?.dataset['region'] === 'page' ? next.querySelector<HTMLElement>('h1') : null;
  (title ?? next?.querySelector<HTMLElement>(FOCUSABLE))?.focus();
  return true;
}
