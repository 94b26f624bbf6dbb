/** The label `task`: only names of registered code, and a bounded number of them, since anyone who inserts chooses names. */
import { commandKey } from '../commands/command-task.js'
import { isFunctionPayload, ownPayload, type Payload } from '../tasks/payload.js'
import { findClass, findFunction } from '../tasks/registry.js'

/** Maximum number of separate names; each costs a scraper some twenty time series. */
const maxNames = 100

/** Label of tasks whose code is not registered here. */
const unregistered = '(unregistered)'
/** Label of tasks whose name came after `maxNames` others. */
const other = '(other)'

export class TaskLabels {
  readonly #known = new Set<string>()

  /** The label of a task. */
  of(task: { readonly name: string; payload(): Payload }): string {
    const { name } = task
    if (this.#known.has(name)) return name
    if (!isRegistered(ownPayload(task.payload()))) return unregistered
    if (this.#known.size >= maxNames) return other
    this.#known.add(name)
    return name
  }
}

function isRegistered(payload: Payload): boolean {
  if (!isFunctionPayload(payload)) return findClass(payload.class) !== undefined
  const [[module, name]] = payload
  // Commands are registered nowhere, and have one name.
  const isCommand = module === commandKey[0] && name === commandKey[1]
  return isCommand || findFunction(module, name) !== undefined
}
