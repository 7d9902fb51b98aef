/** How long one thing may take: only what will never come is waited for that long, for the machine may be slow. */
export const patienceMs = 180_000;

/** Waits until `condition` gives something true, and returns it; the one place where these tests wait for a process. */
export async function until(what, condition, withinMs = patienceMs) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
