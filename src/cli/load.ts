/** Loads the modules of `--load`, which register tasks or backends. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { codeOf, nameAndMessageOf } from '../errors/thrown.js'
import { UsageError } from './usage-error.js'

/** Imports each module: a file, or a package that is installed in the current folder. */
export async function loadModules(names: readonly string[]): Promise<void> {
  const paths = names.map(pathOf)
  for (const [index, path] of paths.entries()) {
    try {
      await import(pathToFileURL(path).href)
    } catch (cause) {
      const reason = nameAndMessageOf(cause) + hintFor(cause)
      throw new Error(`The module ${names[index]} could not be loaded: ${reason}`, { cause })
    }
  }
}

function pathOf(name: string): string {
  const path = resolve(name)
  if (existsSync(path)) return path
  try {
    return createRequire(join(process.cwd(), 'package.json')).resolve(name)
  } catch {
    throw new UsageError(`Expected --load to name a file or a package installed here, found no ${path}`)
  }
}

/** A hint for TypeScript files. Newer versions of Node strip types, but still need file extensions in imports. */
function hintFor(cause: unknown): string {
  if (codeOf(cause) !== 'ERR_UNKNOWN_FILE_EXTENSION') return ''
  return `; TypeScript needs a loader here: NODE_OPTIONS='--import tsx' ptq …`
}
