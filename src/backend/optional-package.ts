/** Loads the client of a backend, which its users install beside this package. */

import { codeOf } from '../errors/thrown.js'

/**
 * Imports an optional package.
 *
 * @param name the package, e.g. `pg`
 * @param queues the queues that need it, e.g. `postgres://`
 * @throws Error that says to install it
 */
export async function loadOptionalPackage<T>(name: string, queues: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const isMissing = codeOf(cause) === 'ERR_MODULE_NOT_FOUND' || codeOf(cause) === 'MODULE_NOT_FOUND'
    const problem = isMissing ? 'install it next to ptq' : 'it is installed, and failed to load'
    throw new Error(`${queues} queues need the package ${name}: ${problem} (npm install ${name})`, { cause })
  }
}
