// Addresses of the window, after the #. A route survives a reload because nothing but its address makes it.

export type Route =
  | { page: 'home' | 'welcome' | 'backups' | 'history' | 'settings' | 'help' | 'nothing' }
  | { page: 'application'; name: string }
  | { page: 'update'; name: string; hasNotes: boolean }
  | { page: 'upgrade'; name: string; id: string }
  | { page: 'leaving'; name: string; target: string }
  | { page: 'backup' | 'restore' | 'tables'; id: string };

export function routeOf(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split('?');
  let parts: string[];
  try {
    parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return { page: 'nothing' };
  }
  const [first, second, third, fourth] = parts;
  if (first === undefined) return { page: 'home' };
  if (parts.length === 1) {
    switch (first) {
      case 'welcome':
      case 'backups':
      case 'history':
      case 'settings':
      case 'help':
        return { page: first };
      default:
        return { page: 'nothing' };
    }
  }
  if (first === 'app' && second !== undefined) {
    if (third === undefined) return { page: 'application', name: second };
    if (third === 'update' && fourth === undefined)
      return { page: 'update', name: second, hasNotes: query === 'notes' };
    if (third === 'breaking' && fourth !== undefined)
      return { page: 'leaving', name: second, target: fourth };
    if (third === 'upgrade' && fourth !== undefined) return { page: 'upgrade', name: second, id: fourth };
  }
  if (first === 'backups' && second !== undefined && fourth === undefined) {
    if (third === undefined) return { page: 'backup', id: second };
    if (third === 'restore' || third === 'tables') return { page: third, id: second };
  }
  return { page: 'nothing' };
}

/** The place of the rail that a route belongs to. */
export function placeOf(route: Route): string {
  switch (route.page) {
    case 'backups':
    case 'backup':
    case 'restore':
    case 'tables':
      return 'backups';
    case 'history':
    case 'settings':
    case 'help':
      return route.page;
    default:
      return '';
  }
}
