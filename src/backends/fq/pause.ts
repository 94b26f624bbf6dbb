/** Waits for `milliseconds`, or until one of `signals` is aborted. Leaves no timer and no listener behind. */
export function pause(milliseconds: number, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      for (const signal of signals) signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, milliseconds)
    for (const signal of signals) signal.addEventListener('abort', end, { once: true })
    if (signals.some(signal => signal.aborted)) end()
  })
}
