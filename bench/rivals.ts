/** Rivals that are too heavy for everybody who works on this project: `npm run bench:rivals` installs them below `build/`. */
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** A file in the folder that they are required from. It need not be there. */
export const rivalsFolder = join(import.meta.dirname, '../rivals/package.json')

/** True if a package is installed. */
export function hasRival(name: string): boolean {
  try {
    createRequire(rivalsFolder).resolve(name)
    return true
  } catch {
    return false
  }
}
