/** Finds the code that a chunk's tasks call, importing the files it comes from as needed. */

import { messageOf } from '../src/errors/thrown.js'
import { builtins } from '../src/runtime/builtins.js'
import {
  codeName,
  findClass,
  findFunction,
  type RegisteredCode,
  unregisteredClass,
  unregisteredFunction,
} from '../src/tasks/registry.js'
import type { CodeReference } from '../src/threads/thread-messages.js'
import type { ThreadLink } from './link.js'
import { enableTypeScript } from './typescript.js'

/** Code, or the error that the tasks which need it fail with. `isNotLoaded`: the import of its file failed. */
export type LoadedCode = { readonly code: RegisteredCode } | { readonly error: Error; readonly isNotLoaded: boolean }

/** Imports by file. A failed one is kept too: Node would not run the module a second time, and the thread ends soon. */
const imports = new Map<string, Promise<void>>()

/** Files whose import threw. */
const broken = new Set<string>()

/** True if the import of some file failed: only a new thread can try it again. */
export function hasFailedImport(): boolean {
  return broken.size > 0
}

/**
 * Loads the code behind references, one file after the other. Never rejects. Posts the file before each import: if it
 * ends the thread or never finishes, the main thread knows which file it was.
 */
export async function loadCode(
  references: readonly CodeReference[],
  chunk: number,
  link: ThreadLink,
): Promise<LoadedCode[]> {
  const loaded: LoadedCode[] = []
  for (const reference of references)
    loaded.push(await load(reference, url => link.post({ type: 'loading', chunk, url })))
  link.post({ type: 'loading', chunk, url: undefined })
  return loaded
}

/** The code behind references if all of it is loaded already; synchronous. */
export function loadedCode(references: readonly CodeReference[]): LoadedCode[] | undefined {
  const loaded: LoadedCode[] = []
  for (const reference of references) {
    const code = find(reference)
    // A file that threw may have registered some of its code before: half a module is not run.
    if (code === undefined || (reference.url !== undefined && broken.has(reference.url))) return undefined
    loaded.push({ code })
  }
  return loaded
}

async function load(reference: CodeReference, onLoading: (url: string) => void): Promise<LoadedCode> {
  const { url } = reference
  const known = find(reference)
  if (known !== undefined && (url === undefined || !imports.has(url))) return { code: known }
  if (url === undefined) return { error: unregistered(reference), isNotLoaded: false }
  try {
    onLoading(url)
    await importOnce(url)
  } catch (cause) {
    return { error: notLoadedError(url, cause), isNotLoaded: true }
  }
  const code = find(reference)
  if (code !== undefined) return { code }
  const cause = unregistered(reference)
  const by = reference.kind === 'function' ? 'queueable' : 'registerTask'
  return {
    error: new builtins.Error(
      `Expected ${url} to register ${nameOf(reference)} when a thread imports it; ${adviceOn(by)}`,
      {
        cause,
      },
    ),
    isNotLoaded: false,
  }
}

/** The advice for a file that registers something in the main thread, but not in a thread that imports it. */
export function adviceOn(registers: string): string {
  return (
    'register it at the top level of that file, in every thread alike; should another file do that, name it: ' +
    `${registers}(…, { url: import.meta.url })`
  )
}

/** The error of tasks whose file a thread could not import. */
export function notLoadedError(url: string, cause: unknown): Error {
  return new builtins.Error(`Expected ${url} to load in a thread, but it threw: ${messageOf(cause)}`, { cause })
}

/** Imports a file, once a thread; after a failure {@link hasFailedImport} is true. */
export function importOnce(url: string): Promise<void> {
  let imported = imports.get(url)
  if (imported === undefined) {
    imported = importNow(url)
    imports.set(url, imported)
  }
  return imported
}

async function importNow(url: string): Promise<void> {
  try {
    await enableTypeScript(url)
    await import(url)
  } catch (error) {
    broken.add(url)
    throw error
  }
}

function find(reference: CodeReference): RegisteredCode | undefined {
  return reference.kind === 'function' ? findFunction(reference.module, reference.name) : findClass(reference.name)
}

function nameOf(reference: CodeReference): string {
  const code = find(reference)
  if (code !== undefined) return codeName(code)
  return reference.kind === 'function' ? `${reference.module}.${reference.name}` : reference.name
}

function unregistered(reference: CodeReference): Error {
  return reference.kind === 'function'
    ? unregisteredFunction(reference.module, reference.name)
    : unregisteredClass(reference.name)
}
