/**
 * A small shell that outlives this process by seconds: when the pipe to it ends, because this process was killed, it
 * ends the process groups that it was given. SIGKILL leaves this process no time to do that, and POSIX has no call for
 * it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { killAfterMs } from './process-group.js'

const script = `
groups=
while read -r what group; do
  if [ "$what" = + ]; then groups="$groups $group"; continue; fi
  left=
  for each in $groups; do [ "$each" = "$group" ] || left="$left $each"; done
  groups=$left
done
[ -n "$groups" ] || exit 0
for each in $groups; do kill -s TERM -- "-$each"; done
sleep ${killAfterMs / 1000}
for each in $groups; do kill -s KILL -- "-$each"; done
`

export class OrphanWatchdog {
  readonly #process: ChildProcess
  readonly #input: Writable

  constructor() {
    // Detached: Ctrl-C in the terminal must not end it before it has done its work.
    this.#process = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    this.#process.on('error', () => undefined)
    this.#process.unref()
    this.#input = this.#process.stdin as Writable
    // The watchdog was ended by someone else: commands may then outlive a killed process.
    this.#input.on('error', () => undefined)
  }

  /** Adds a process group. */
  watch(pid: number): void {
    this.#input.write(`+ ${pid}\n`)
  }

  /** Removes a group that has ended, or may continue. */
  forget(pid: number): void {
    this.#input.write(`- ${pid}\n`)
  }

  close(): void {
    this.#input.end()
  }
}
