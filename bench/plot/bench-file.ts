/** Reads what `npm run bench -- --json` printed. */
import { readFileSync } from 'node:fs'
import type { JsonRow } from '../json-row.js'

/** @throws Error that says how to create such a file */
export function readBenchFile(path: string): JsonRow[] {
  try {
    return (
      readFileSync(path, 'utf8')
        .split('\n')
        // Without `-s` npm prints, on stdout too, which script it runs.
        .filter(line => line.trim() !== '' && !line.startsWith('>'))
        .map(line => JSON.parse(line))
    )
  } catch (cause) {
    throw new Error(
      `Expected ${path} to hold what the bench measured (npm run -s bench -- --json > ${path}), got: ${String(cause)}`,
      { cause },
    )
  }
}
