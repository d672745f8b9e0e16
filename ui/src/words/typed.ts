// What a dangerous act asks to be typed first, and what is still missing of it.

import { m } from '../paraglide/messages.js';
import { count } from './format';

/** What DangerConfirm wants to know of the word; nothing where none is asked for. */
export const typed = (word: string) =>
  word === ''
    ? {}
    : {
        word,
        ask: m.type_word({ word }),
        missing: (text: string) =>
          word.startsWith(text)
            ? m.type_missing({ word, n: count(word.length - text.length) })
            : m.type_wrong({ word }),
      };
