// Every test begins with an empty page and the words of the base language.
import { configure } from '@testing-library/svelte';
import { afterEach } from 'vitest';

// What is waited for comes when it comes: a machine that is busy with other tests is not a defect.
configure({ asyncUtilTimeout: 15_000 });
afterEach(() => document.body.replaceChildren());
