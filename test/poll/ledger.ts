// Records of tasks in a file, a line each.
import { existsSync, readFileSync } from 'node:fs'

/** The lines of a file; none if it doesn't exist. */
export function linesOf(path: string): string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : []
}
