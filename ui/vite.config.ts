import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { paraglideVitePlugin } from '@inlang/paraglide-js';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** The commands that the app answers, out of the list that it is built with. What it does not answer is not shown. */
export function commandsOfTheApp(): string[] {
  const source = readFileSync(file('../src-tauri/src/commands/mod.rs'), 'utf8');
  const list = /generate_handler!\[([^\]]*)\]/.exec(source)?.[1] ?? '';
  const names = [...list.matchAll(/\w+::(\w+)/g)].map((it) => it[1] ?? '');
  if (!names.includes('app_view')) throw new Error('the list of commands cannot be read');
  return names;
}

/** What the app's own window may weigh, packed as a server would send it; fonts and words with it. */
const MOST_BYTES = 250_000;

function staysSmall(): Plugin {
  return {
    name: 'stays-small',
    writeBundle({ dir = '' }, bundle) {
      const sizes = Object.keys(bundle).map((it) => gzipSync(readFileSync(join(dir, it))).length);
      const sum = sizes.reduce((a, b) => a + b, 0);
      const says = `the window weighs ${sum.toString()} bytes; ${MOST_BYTES.toString()} are allowed`;
      if (sum > MOST_BYTES) this.error(says);
      else this.info(says);
    },
  };
}

const LOCALES = (
  JSON.parse(readFileSync(file('./project.inlang/settings.json'), 'utf8')) as { locales: string[] }
).locales;

/** Each text is a choice among languages. As long as there is one, the choice is a tenth of the window and chooses nothing. */
function oneLanguage(): Plugin {
  return {
    name: 'one-language',
    enforce: 'post',
    transform(code, id) {
      const [only] = LOCALES;
      if (LOCALES.length !== 1 || !only || !/paraglide[\\/]messages[\\/]\w+\.js$/.test(id)) return null;
      const begin = code.indexOf('export const ');
      const name = /^export const (\w+)/.exec(code.slice(begin))?.[1];
      const text = `${only}_${name ?? ''}`;
      if (!name || !code.includes(`const ${text} =`)) return null;
      return { code: `${code.slice(0, begin)}export const ${name} = ${text};`, map: null };
    },
  };
}

function file(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** What the desktop app's own policy allows, so that a test in a browser meets the same walls. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'";

export default defineConfig(({ mode }) => {
  // The fixture answers in the engine's place, for tests and pictures. It never gets into the app's own bundle.
  const isFixture = mode === 'fixture' || mode === 'test';
  return {
    plugins: [
      // Its watcher would keep a test run alive; there the words are compiled before.
      process.env['VITEST']
        ? []
        : paraglideVitePlugin({ project: file('./project.inlang'), outdir: file('./src/paraglide') }),
      oneLanguage(),
      svelte(),
      svelteTesting(),
      isFixture ? [] : staysSmall(),
      {
        name: 'same-policy-as-the-app',
        transformIndexHtml: (html: string) =>
          isFixture
            ? html.replace('<head>', `<head><meta http-equiv="Content-Security-Policy" content="${POLICY}">`)
            : html,
      },
    ],
    resolve: {
      alias: { $client: file(isFixture ? './src/ipc/fixture/client.ts' : './src/ipc/client.ts') },
    },
    define: { __COMMANDS__: JSON.stringify(commandsOfTheApp()) },
    build: {
      target: 'safari17',
      // A data: address would need a wider policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
    server: { port: 1420, strictPort: true },
    preview: { port: 4179, strictPort: true },
    test: {
      environment: 'happy-dom',
      include: ['src/**/*.test.ts'],
      setupFiles: ['./tests/setup.ts'],
      testTimeout: 60_000,
    },
  };
});
