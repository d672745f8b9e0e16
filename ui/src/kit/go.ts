// Addresses are hashes, so that each survives a reload and the page itself is never loaded again.

export const to = (...parts: string[]): string => `#/${parts.map(encodeURIComponent).join('/')}`;

export function go(...parts: string[]): void {
  location.hash = to(...parts);
}
