import js from '@eslint/js';
import globals from 'globals';
import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';

const onlyTheClientKnowsTauri = {
  'no-restricted-imports': [
    'error',
    { patterns: [{ group: ['@tauri-apps/*'], message: 'Only ipc/client.ts speaks with the engine.' }] },
  ],
};

export default ts.config(
  { ignores: ['dist', '.fixture', 'src/paraglide', 'src/ipc/views.ts', 'test-results'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser } } },
  { rules: onlyTheClientKnowsTauri },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser } },
    rules: {
      // Addresses are hashes of this one page; there is no router to resolve them.
      'svelte/no-navigation-without-resolve': 'off',
    },
  },
  { files: ['src/ipc/client.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    // The kit knows nothing of our domain, and features meet only in the app.
    files: ['src/kit/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/ipc/**', '**/features/**', '**/app/**', '@tauri-apps/*'] }] },
      ],
    },
  },
  { files: ['*.js', '*.ts', 'tests/**', 'public/**'], languageOptions: { globals: { ...globals.node } } },
);
