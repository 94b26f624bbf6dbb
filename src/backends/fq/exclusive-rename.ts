/**
 * Renames of a task's file in which exactly one process succeeds, also where this host's view of names is out of date.
 *
 * Over a network a host may cache for a while a name that another host has changed. A rename from it onto the current
 * name of the same file is answered by Linux without asking the server: nothing happens, and it "succeeds". Others can
 * choose the same name, since names of tasks are times in whole seconds. So on a network filesystem a rename takes two:
 * the first to a name that no other process chooses, a claim, for which the server has to be asked; the second, which
 * no other process can make, to the final name. For the claim of a process that dies between the two see
 * `stale-claims.ts`.
 */
import { type Awaitable, after } from './awaitable.js'
import type { IoScheduler } from './io-scheduler.js'
import { inside } from './layout.js'
import { claimTime, nameOf } from './names.js'

/**
 * Renames the file of task `id` from `from` to `to`, a name in `folder`. `false`: another process was faster. Errors as those
 * of `FileCalls.rename`; of a `hint`, only the first rename is one.
 */
export function renameExclusively(
  io: Pick<IoScheduler, 'calls' | 'knowsNames'>,
  folder: string,
  id: string,
  from: string,
  to: string,
  how?: 'hint',
): Awaitable<boolean> {
  const { calls } = io
  if (io.knowsNames) return calls.rename(from, to, how)
  const claimed = inside(folder, nameOf(claimTime(), id))
  return after(calls.rename(from, claimed, how), won => won && calls.rename(claimed, to))
}
