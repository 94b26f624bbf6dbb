/** Ends this thread. */
import { builtins } from '../src/runtime/builtins.js'

/**
 * Ends this thread by Node's own `process.exit`: a task may have replaced it, and the replacement in report-crashes.ts would
 * report a task. The exit code has no meaning in a thread.
 */
export function exitThread(): never {
  try {
    return builtins.exit(0)
  } catch {
    // A listener of the event `exit` threw. The second call calls no listeners.
    return builtins.exit(0)
  }
}
