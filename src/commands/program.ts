/** Finds programs like `execvp`, so that a missing one is reported before a shell runs it. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, resolve } from 'node:path'

/** The path of a program, looked up in `PATH` if its name has no slash, or `undefined`. */
export function findProgram(name: string, cwd: string): string | undefined {
  if (name.includes('/')) return isExecutable(resolve(cwd, name)) ? resolve(cwd, name) : undefined
  const folders = (process.env.PATH ?? '/usr/bin:/bin').split(delimiter)
  // A relative folder would make the program depend on where a task runs.
  return folders
    .filter(isAbsolute)
    .map(folder => `${folder}/${name}`)
    .find(isExecutable)
}

/** The error for a program that isn't there. */
export function noProgram(name: string, cwd: string): Error {
  return new Error(
    name.includes('/')
      ? `Expected a program that can be run, got ${name} (in ${cwd})`
      : `Expected a program on PATH, got ${name || 'an empty name'}: what a shell does itself needs a shell (--shell, sh -c)`,
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Looks up programs, each name once: a program installed while a worker runs is found by its next start. */
export class Programs {
  readonly #paths = new Map<string, string>()

  /** @throws Error where there is no such program */
  find(name: string, cwd: string): string {
    const key = name.includes('/') ? resolve(cwd, name) : name
    const known = this.#paths.get(key)
    if (known !== undefined) return known
    const path = findProgram(name, cwd)
    if (path === undefined) throw noProgram(name, cwd)
    // Names with a slash may be as many as there are tasks.
    if (this.#paths.size < 1_000) this.#paths.set(key, path)
    return path
  }
}
