/** A new folder that is reached through several mounts. */
import { mkdtemp, readdir, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

/** A network filesystem shows what another host made within seconds: Linux keeps the attributes of NFS folders for at most a minute. */
const STOP_TIMEOUT_MS = 70_000

/**
 * Makes a folder in the first of `places` and finds it in the others.
 * @throws Error if the others are not the same folder
 */
export async function oneFolder(places: readonly string[]): Promise<[string, ...string[]]> {
  const [place, ...others] = places
  if (place === undefined) throw new TypeError('Expected a folder, got none')
  const made = await mkdtemp(join(place, 'ptq-torture-'))
  const deadlineMs = performance.now() + STOP_TIMEOUT_MS
  for (const other of others) {
    while (!(await readdir(other)).includes(basename(made))) {
      if (performance.now() < deadlineMs) await setTimeout(100)
      else {
        await rmdir(made)
        throw new Error(
          `Expected ${other} to be another mount of ${place}, but what is made there doesn't appear in it`,
        )
      }
    }
  }
  return [made, ...others.map(other => join(other, basename(made)))]
}
