/** The machine and the versions in a report. */
import { readFileSync, realpathSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'

/** E.g. `2 cores (Some CPU), 23 GB of memory, Linux 6.1.0, Node v20.19.0, ext4`. */
export function describeMachine(folder: string): string {
  const cores = availableParallelism()
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return [
    `${cores} ${cores === 1 ? 'core' : 'cores'} (${cpus()[0]?.model.trim() || 'of unknown model'})`,
    `${gigabytes} GB of memory`,
    `${type()} ${release()}`,
    `Node ${process.version}`,
    filesystemOf(folder),
  ].join(', ')
}

/** The type of the filesystem that a folder is on. */
function filesystemOf(folder: string): string {
  if (process.platform !== 'linux') return 'filesystem not known on this platform'
  const path = realpathSync(folder)
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' '))
    .filter(([, at = '']) => at === '/' || path === at || path.startsWith(`${at}/`))
  // Of several mounts at the same place, the last one is visible.
  const nearest = Math.max(...mounts.map(([, at = '']) => at.length))
  return mounts.findLast(([, at]) => at?.length === nearest)?.[2] ?? 'filesystem unknown'
}
