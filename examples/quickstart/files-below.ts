import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The files below a folder, without symbolic links, which Node's own recursive listing follows from version 22 on. */
export function* filesBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* filesBelow(path)
    else if (entry.isFile()) yield path
  }
}
