// What a client can do. The real one speaks with the engine, a fixture answers from memory.

import type { Commands, ErrorView, Events } from './bindings';

export type { Commands, Events } from './bindings';

type Arguments<K extends keyof Commands> = Parameters<Commands[K]> extends [infer A] ? [argument: A] : [];

export type Client = {
  /** Whether the other side has this command at all. */
  can(command: keyof Commands): boolean;
  call<K extends keyof Commands>(command: K, ...argument: Arguments<K>): Promise<ReturnType<Commands[K]>>;
  on<E extends keyof Events>(event: E, hear: (view: Events[E]) => void): () => void;
};

/** Every rejection of a call, also of one that never reached the engine, as what a person can read. */
export function asErrorView(reason: unknown): ErrorView {
  if (typeof reason === 'object' && reason !== null && 'message' in reason && 'remedy' in reason) {
    return reason as ErrorView;
  }
  return {
    class: 'window',
    code: 1,
    message: 'Liftlock’s own answer could not be read.',
    remedy: 'Try again. If that does not help, start Liftlock again.',
    details: [String(reason)],
  };
}
