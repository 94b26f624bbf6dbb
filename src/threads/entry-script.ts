/** Tasks defined in the script that Node was started with: a thread that imports it runs the whole script again. */
import { readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { fileURLToPath } from 'node:url'
import { codeOf } from '../errors/thrown.js'
import { codeName, type RegisteredCode } from '../tasks/registry.js'

const checked = new Map<string, string | undefined>()

/**
 * Refuses code that a thread can't import, or can't import safely.
 * @throws Error that says what to do
 */
export function refuseEntryScript(code: RegisteredCode): void {
  // Cached: this runs for each of millions of calls.
  if (code.url !== undefined && checked.get(code.url) === undefined && checked.has(code.url)) return
  refuseEntryFile(codeName(code), code.url)
}

/**
 * Refuses a file that a thread can't import, or can't import safely.
 *
 * @param name what is registered there, as messages show it
 * @param url `undefined`: it was registered outside a file
 * @throws Error that says what to do
 */
export function refuseEntryFile(name: string, url: string | undefined): void {
  if (url === undefined) {
    throw new Error(
      `Expected ${name} to be registered in a file that a thread can import; ` +
        'move it to a module of its own, or run it with `parallel: 0`',
    )
  }
  if (!checked.has(url)) checked.set(url, entryProblem(url))
  const problem = checked.get(url)
  if (problem !== undefined) throw new Error(`Expected ${name} to be importable by a thread, but ${problem}`)
}

function entryProblem(url: string): string | undefined {
  const entry = process.argv[1]
  if (entry === undefined || !url.startsWith('file:')) return undefined
  const file = fileURLToPath(url)
  if (file !== entry && file !== realPath(entry)) return undefined
  // A script that guards its main part by isMainThread may have tasks too; should the guard not work, the thread refuses
  // to start work (see refuseInThread), so the worst case is an error, not an endless spawn.
  if (readFileSync(file, 'utf8').includes('isMainThread')) return undefined
  return (
    `${file} is the script that was started, which each thread would run again from its first line; ` +
    'move the task to a module of its own (say tasks.ts) and import it from there, or guard what starts the work with ' +
    '`if (isMainThread)` from node:worker_threads'
  )
}

function realPath(entry: string): string {
  try {
    return realpathSync(entry)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
  // With `node --eval` argv[1] is not a file.
  if (!isAbsolute(entry)) return entry
  try {
    // `node main` starts main.js.
    return createRequire(entry).resolve(entry)
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return entry
    throw error
  }
}
