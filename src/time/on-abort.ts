/**
 * Listens to a caller's AbortSignal with one listener a signal, however many runs share it: Node warns of a leak above
 * ten listeners.
 */

const listenersOf = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `listener` once, when `signal` is aborted; at once where it is aborted already.
 *
 * @param listener must not throw
 * @returns ends the listening
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => undefined
  if (signal.aborted) {
    listener()
    return () => undefined
  }
  // A new function each time: the same listener may be passed twice.
  const call = () => listener()
  let listeners = listenersOf.get(signal)
  if (listeners === undefined) {
    listeners = new Set()
    listenersOf.set(signal, listeners)
  }
  listeners.add(call)
  if (listeners.size === 1) signal.addEventListener('abort', callAll)
  return () => {
    if (!listeners.delete(call) || listeners.size > 0) return
    signal.removeEventListener('abort', callAll)
  }
}

function callAll(event: Event): void {
  const signal = event.target as AbortSignal
  signal.removeEventListener('abort', callAll)
  const listeners = listenersOf.get(signal)
  listenersOf.delete(signal)
  for (const call of [...(listeners ?? [])]) if (listeners?.delete(call)) call()
}
