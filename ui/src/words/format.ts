// Numbers, sizes, times and names as people read them, by locale. Nothing here knows a screen.

import { m } from '../paraglide/messages.js';
import { getLocale } from '../paraglide/runtime.js';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The user's own region where it speaks the language of the texts, so that one sentence has one language. */
export function region(): string {
  const wished = typeof navigator === 'undefined' ? [] : navigator.languages;
  return wished.find((it) => it.split('-')[0] === getLocale()) ?? getLocale();
}

export const count = (n: number): string => new Intl.NumberFormat(region()).format(n);
export const percent = (n: number): string =>
  new Intl.NumberFormat(region(), { style: 'percent', maximumFractionDigits: 0 }).format(Math.floor(n) / 100);

/** 1 GB is a thousand million bytes, as disks are sold and as system monitors count. */
export function bytes(n: number): string {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  const power = n < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  return new Intl.NumberFormat(region(), {
    style: 'unit',
    unit: units[power] ?? 'byte',
    maximumFractionDigits: value < 10 && power > 1 ? 1 : 0,
  }).format(value);
}

function unit(n: number, name: string): string {
  return new Intl.NumberFormat(region(), { style: 'unit', unit: name, unitDisplay: 'long' }).format(n);
}

/** Measured: "2 min 41 s". */
export function measured(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return m.unit_s({ n: count(whole) });
  if (whole < HOUR) {
    const minutes = m.unit_min({ n: count(Math.floor(whole / MINUTE)) });
    const rest = whole % MINUTE;
    return rest === 0 ? minutes : m.unit_pair({ a: minutes, b: m.unit_s({ n: count(rest) }) });
  }
  const hours = m.unit_h({ n: count(Math.floor(whole / HOUR)) });
  const rest = Math.floor((whole % HOUR) / MINUTE);
  return rest === 0 ? hours : m.unit_pair({ a: hours, b: m.unit_min({ n: count(rest) }) });
}

/** Estimated: "3 minutes", never finer than anyone can know. */
export function rough(seconds: number): string {
  if (seconds < 50) return unit(Math.max(5, Math.ceil(seconds / 5) * 5), 'second');
  if (seconds < 90 * MINUTE) return unit(Math.max(1, Math.round(seconds / MINUTE)), 'minute');
  return unit(Math.round(seconds / HOUR), 'hour');
}

/** How long ago: "8 min ago". */
export function age(then: string, now: number): string {
  const seconds = (now - Date.parse(then)) / 1000;
  if (seconds < MINUTE) return m.just_now();
  if (seconds < HOUR) return m.ago({ time: m.unit_min({ n: count(Math.floor(seconds / MINUTE)) }) });
  if (seconds < DAY) return m.ago({ time: unit(Math.floor(seconds / HOUR), 'hour') });
  return m.ago({ time: unit(Math.floor(seconds / DAY), 'day') });
}

export const clockTime = (then: string): string =>
  new Intl.DateTimeFormat(region(), { hour: '2-digit', minute: '2-digit' }).format(new Date(then));

/** "Today, 03:00", "Yesterday, 03:00", "12 Nov, 03:00"; with the year where it is another one. */
export function moment(then: string, now: number): string {
  const date = new Date(then);
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (date.getTime() >= midnight && date.getTime() < midnight + DAY * 1000)
    return m.today_at({ time: clockTime(then) });
  if (date.getTime() >= midnight - DAY * 1000 && date.getTime() < midnight)
    return m.yesterday_at({ time: clockTime(then) });
  return m.joined({ a: day(then, now), b: clockTime(then) });
}

/** The same inside a sentence: "tomorrow at 03:00", "12 Nov at 03:00". */
export function momentIn(then: string, now: number): string {
  const time = clockTime(then);
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  // Days are not always 24 hours long: it is the middle of each that is counted.
  const away = Math.round(
    (new Date(then).setHours(12, 0, 0, 0) - midnight - (DAY / 2) * 1000) / (DAY * 1000),
  );
  if (away === 0) return m.today_in({ time });
  if (away === 1) return m.tomorrow_in({ time });
  if (away === -1) return m.yesterday_in({ time });
  return m.day_in({ day: day(then, now), time });
}

/** "12 Nov", with the year where it is another one. */
export function day(then: string, now: number): string {
  const date = new Date(then);
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(region(), {
    day: 'numeric',
    month: 'short',
    ...(sameYear ? {} : { year: 'numeric' }),
  }).format(date);
}

export const month = (then: string): string =>
  new Intl.DateTimeFormat(region(), { month: 'long', year: 'numeric' }).format(new Date(then));

/** The whole date, for tooltips. */
export const fullDate = (then: string): string =>
  new Intl.DateTimeFormat(region(), { dateStyle: 'full', timeStyle: 'medium' }).format(new Date(then));

/** Facts side by side; what is empty is left out. */
export const joined = (facts: string[]): string =>
  facts.filter((it) => it !== '').reduce((a, b) => (a === '' ? b : m.dotted({ a, b })), '');

export const list = (items: string[]): string =>
  new Intl.ListFormat(region(), { type: 'conjunction' }).format(items);

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
// Marks that could turn the words around a name.
const TURNING = /[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g;
const LONGEST_IN_A_SENTENCE = 48;

/** A name inside a sentence: shortened, and unable to turn the words around it. */
export function inSentence(name: string): string {
  const plain = name.replace(TURNING, '');
  const letters = [...new Intl.Segmenter(region(), { granularity: 'grapheme' }).segment(plain)];
  const short =
    letters.length <= LONGEST_IN_A_SENTENCE
      ? plain
      : `${letters
          .slice(0, LONGEST_IN_A_SENTENCE)
          .map((it) => it.segment)
          .join('')
          .trimEnd()}…`;
  return RIGHT_TO_LEFT.test(short) ? `\u2068${short}\u2069` : short;
}

/** A name that stands alone: its own direction is kept, but it turns nothing round. */
export const standing = (name: string): string => name.replace(TURNING, '');

/** The first letter of a name, for its tile; a whole emoji counts as one. */
export function initial(name: string): string {
  const [first] = new Intl.Segmenter(region()).segment(name.replace(TURNING, '').trim());
  return (first?.segment ?? '?').toLocaleUpperCase(region());
}

/** A sentence inside another one: its own full stop goes. */
export const clause = (sentence: string): string => sentence.trim().replace(/[.\s]+$/, '');
export const sentence = (text: string): string => {
  const trimmed = text.trim();
  return /[.!?…]$/.test(trimmed) || trimmed === '' ? trimmed : `${trimmed}.`;
};
