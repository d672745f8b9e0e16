// The way to a page, as its breadcrumb shows it.

import { to } from '../kit/go';
import { m } from '../paraglide/messages.js';

type Crumb = { label: string; href?: string };

export const underHome = (here: string): Crumb[] => [{ label: m.place_home(), href: to() }, { label: here }];
export const underBackups = (here: string): Crumb[] => [
  { label: m.place_backups(), href: to('backups') },
  { label: here },
];
