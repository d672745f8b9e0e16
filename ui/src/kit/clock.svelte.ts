// The time, for what counts on the screen. It ticks only while something shows it.

import { createSubscriber } from 'svelte/reactivity';

function ticking(every: number): () => number {
  const subscribe = createSubscriber((update) => {
    const timer = setInterval(update, every);
    return () => clearInterval(timer);
  });
  return () => {
    subscribe();
    return Date.now();
  };
}

/** For seconds that people watch. */
export const secondHand = ticking(1000);
/** For ages. */
export const minuteHand = ticking(20_000);
