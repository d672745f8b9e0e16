// Every test begins with an empty page and the words of the base language.
import { afterEach } from 'vitest';
afterEach(() => document.body.replaceChildren());
