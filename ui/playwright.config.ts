import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

/** Debian's own browser; elsewhere the one that Playwright keeps. */
const CHROMIUM = '/usr/bin/chromium';

export default defineConfig({
  testDir: './tests',
  fullyParallel: true,
  workers: 2,
  retries: 0,
  reporter: [['list', { printSteps: false }]],
  timeout: 30_000,
  use: {
    baseURL: 'http://localhost:4179',
    viewport: { width: 960, height: 640 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    launchOptions: {
      ...(existsSync(CHROMIUM) ? { executablePath: CHROMIUM } : {}),
      args: ['--no-sandbox', '--font-render-hinting=none'],
    },
  },
  webServer: {
    command: 'npx vite preview --mode fixture --outDir .fixture',
    url: 'http://localhost:4179',
    reuseExistingServer: false,
  },
});
