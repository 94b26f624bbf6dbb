/** A folder on another filesystem. */
import { accessSync, constants, statSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'

const MEMORY = '/dev/shm'

/**
 * Creates a folder on another filesystem than `folder`: in `wanted`, or in memory if the system has that. Otherwise in
 * `folder` itself.
 */
export async function makeElsewhere(folder: string, wanted = MEMORY): Promise<string> {
  return await mkdtemp(join(isElsewhere(wanted, folder) ? wanted : folder, 'ptq-torture-'))
}

function isElsewhere(wanted: string, folder: string): boolean {
  try {
    accessSync(wanted, constants.W_OK)
    return statSync(wanted).dev !== statSync(folder).dev
  } catch (error) {
    if (wanted === MEMORY) return false
    throw new Error(`Expected ${wanted} to be a folder on another filesystem, in which this user may write`, {
      cause: error,
    })
  }
}
