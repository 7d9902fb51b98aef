/** Listeners by event. A listener that throws harms nobody else: its error is reported as uncaught. */
export class Emitter<E extends object> {
  readonly #listeners = new Map<keyof E, Set<(value: never) => void>>();

  /** Calls `fn` at every such event. Returns what ends that. */
  on<K extends keyof E>(event: K, fn: (value: E[K]) => void): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()));
    listeners.add(fn);
    return () => {
      listeners.delete(fn);
    };
  }

  /** Calls the listeners of `event`. */
  protected emit<K extends keyof E>(event: K, value: E[K]): void {
    for (const fn of [...(this.#listeners.get(event) ?? [])]) {
      try {
        (fn as (value: E[K]) => void)(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
