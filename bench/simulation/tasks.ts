/** The tasks of the simulation. */
import { queueable } from 'ptq'
import { sleep } from './virtual-time.js'

/** The number of tasks that have ended. */
export const work = { taskSeconds: 0, done: 0 }

export const simulatedTask = queueable(function simulatedTask(): void | Promise<void> {
  if (work.taskSeconds === 0) {
    work.done++
    return
  }
  // Tasks take different times: half to one and a half of the mean.
  return sleep(work.taskSeconds * 1000 * (0.5 + Math.random())).then(() => {
    work.done++
  })
})
