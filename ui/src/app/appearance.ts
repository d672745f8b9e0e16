// Theme, contrast and text size on the root element, and kept for theme.js to set before the next first paint.

import type { Preferences } from '../ipc/bindings';

const prefers = (query: string): boolean => window.matchMedia(query).matches;

export function wear(preferences: Preferences): void {
  const root = document.documentElement;
  const { theme, contrast, text_percent } = preferences;
  root.dataset['theme'] =
    theme === 'system' ? (prefers('(prefers-color-scheme: dark)') ? 'dark' : 'light') : theme;
  root.dataset['contrast'] = contrast === 'more' || prefers('(prefers-contrast: more)') ? 'more' : 'normal';
  root.style.fontSize = `${text_percent.toString()}%`;
  try {
    localStorage.setItem('liftlock.theme', theme);
    localStorage.setItem('liftlock.contrast', contrast);
    localStorage.setItem('liftlock.text_percent', text_percent.toString());
  } catch {
    // Without storage the next first paint follows the system.
  }
}

/** Calls `change` whenever the system's own wishes change. */
export function followSystem(change: () => void): () => void {
  const queries = ['(prefers-color-scheme: dark)', '(prefers-contrast: more)'].map((it) =>
    window.matchMedia(it),
  );
  queries.forEach((it) => it.addEventListener('change', change));
  return () => queries.forEach((it) => it.removeEventListener('change', change));
}
