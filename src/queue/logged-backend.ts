/** A backend whose calls are logged with `NODE_DEBUG=ptq`. */
import type { Backend } from '../backend/backend.js'
import { isPromiseLike, messageOf } from '../errors/thrown.js'
import { debugLog } from '../runtime/debug-log.js'

/** The backends behind their logged forms: one backend reads the private state of another (`isSame`, `moveTo`). */
const plain = new WeakMap<object, Backend>()

/** Returns the backend itself unless the log is on. */
export function logged(backend: Backend): Backend {
  if (!debugLog.enabled) return backend
  debugLog('%s: opened', backend.label)
  const proxy = new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const startMs = performance.now()
        const bare = args.map(arg => (typeof arg === 'object' && arg !== null ? (plain.get(arg) ?? arg) : arg))
        const result: unknown = Reflect.apply(value, target, bare)
        if (isPromiseLike(result)) void log(backend.label, String(name), args[0], startMs, result)
        else debugLog('%s: %s', backend.label, String(name))
        return result
      }
    },
  })
  plain.set(proxy, backend)
  return proxy
}

async function log(
  label: string,
  verb: string,
  argument: unknown,
  startMs: number,
  result: PromiseLike<unknown>,
): Promise<void> {
  // The caller of the verb handles its error.
  const text = await result.then(summary, (error: unknown) => `rejected: ${messageOf(error)}`)
  debugLog('%s: %s %s: %s, %s ms', label, verb, summary(argument), text, (performance.now() - startMs).toFixed(1))
}

/** Counts lists, and names a lease request by its numbers: bodies of messages are not shown. */
function summary(value: unknown): string {
  if (value === undefined) return '-'
  if (Array.isArray(value)) return String(value.length)
  if (typeof value !== 'object' || value === null) return String(value)
  const numbers = Object.entries(value).filter(([, each]) => typeof each === 'number' || typeof each === 'boolean')
  return numbers.map(([name, each]) => `${name}=${each}`).join(' ')
}
