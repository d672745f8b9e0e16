// The only place that speaks with Tauri: commands out, events in.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import type { Client } from './contract';

export const client: Client = {
  call: (command, ...argument) => invoke(command, argument[0] as Record<string, unknown> | undefined),
  on(event, hear) {
    const stop = listen<Parameters<typeof hear>[0]>(event, ({ payload }) => hear(payload));
    return () => void stop.then((it) => it());
  },
};
