// Holds the contrasts that UI promises: 4.5 for text, 3 for marks, rings and edges of controls, in every theme.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

type Theme = Record<string, string>;

const css = readFileSync('src/kit/tokens.css', 'utf8');
function block(selector: string): Theme {
  const start = css.indexOf(`${selector} {`);
  if (start < 0) throw new Error(`${selector} is not in tokens.css`);
  const body = css.slice(start, css.indexOf('}', start));
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map((it) => [it[1], it[2]]));
}
const light = block(":root[data-theme='light']");
const dark = block(":root[data-theme='dark']");
const THEMES: Record<string, Theme> = {
  light,
  dark,
  'light with more contrast': { ...light, ...block(":root[data-theme='light'][data-contrast='more']") },
  'dark with more contrast': { ...dark, ...block(":root[data-theme='dark'][data-contrast='more']") },
};

function luminance(colour: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a: string, b: string): number {
  const [high = 0, low = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

const SURFACES = ['page', 'panel', 'sunken', 'raised', 'hover', 'selected'].map((it) => `surface-${it}`);
const ROLES = ['good', 'info', 'notice', 'warn', 'danger'];
const TEXT = 4.5;
const MARK = 3;
/** [what, on what, at least] */
const PAIRS: [string, string, number][] = [
  ...[...SURFACES, ...ROLES.map((it) => `surface-${it}`)].map((on): [string, string, number] => [
    'text',
    on,
    TEXT,
  ]),
  ...SURFACES.flatMap((on): [string, string, number][] => [
    ['text-muted', on, TEXT],
    ['text-accent', on, TEXT],
    ['focus', on, MARK],
  ]),
  ...['page', 'panel', 'raised'].map((on): [string, string, number] => [
    'edge-control',
    `surface-${on}`,
    MARK,
  ]),
  ...['fill-accent', 'fill-accent-hover'].map((on): [string, string, number] => ['text-on-accent', on, TEXT]),
  ...['fill-danger', 'fill-danger-hover'].map((on): [string, string, number] => ['text-on-danger', on, TEXT]),
  ...['page', 'panel'].map((on): [string, string, number] => ['water', `surface-${on}`, MARK]),
  ['text', 'water', MARK],
  ...ROLES.flatMap((role): [string, string, number][] => [
    [`text-${role}`, `surface-${role}`, TEXT],
    [`text-${role}`, 'surface-panel', TEXT],
    [`text-${role}`, 'surface-page', TEXT],
    [`mark-${role}`, `surface-${role}`, MARK],
    [`mark-${role}`, 'surface-panel', MARK],
    [`mark-${role}`, 'surface-page', MARK],
  ]),
];

describe.each(Object.entries(THEMES))('%s', (name, theme) => {
  it.each(PAIRS)('%s on %s has at least %d', (what, on, least) => {
    // With more contrast the hull has an edge of its own on the water.
    if (name.includes('more') && what === 'text' && on === 'water') return;
    const [front, back] = [theme[what], theme[on]];
    if (!front || !back) throw new Error(`${what} or ${on} has no colour`);
    expect(contrast(front, back)).toBeGreaterThanOrEqual(least);
  });
});
