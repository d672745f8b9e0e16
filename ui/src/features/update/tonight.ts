/** The next 03:00 by this computer's clock. */
export function tonight(now: number): string {
  const at = new Date(now);
  at.setHours(3, 0, 0, 0);
  if (at.getTime() <= now) at.setDate(at.getDate() + 1);
  return at.toISOString();
}
