// The only place that speaks with Tauri: commands out, events in.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Client } from './contract';

/** Names of the commands that the app was built with: read out of its own source by vite.config.ts. */
declare const __COMMANDS__: string[];
const COMMANDS = new Set(__COMMANDS__);

export const client: Client = {
  can: (command) => COMMANDS.has(command),
  call: (command, ...argument) => invoke(command, argument[0] as Record<string, unknown> | undefined),
  on(event, hear) {
    const stop = listen<Parameters<typeof hear>[0]>(event, ({ payload }) => hear(payload));
    return () => void stop.then((it) => it());
  },
};
