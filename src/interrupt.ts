/** Ctrl-C: the first one stops what runs cleanly, a second one leaves at once. */

/** 128 + the number of SIGINT, as shells report a program that Ctrl-C ended. */
const interruptedExitCode = 130

const stops = new Set<() => void>()
let interrupted = false

/** Calls `stop` at the first Ctrl-C. The listener is on the process only while somebody wants it. */
export function onInterrupt(stop: () => void): { dispose(): void } {
  if (stops.size === 0) {
    interrupted = false
    process.on('SIGINT', interrupt)
  }
  stops.add(stop)
  return {
    dispose: () => {
      if (stops.delete(stop) && stops.size === 0) process.removeListener('SIGINT', interrupt)
    },
  }
}

function interrupt(): void {
  if (interrupted) process.exit(interruptedExitCode)
  interrupted = true
  process.exitCode ??= interruptedExitCode
  for (const stop of [...stops]) stop()
}
