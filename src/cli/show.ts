import type { Failure, TaskQueue } from '../index.js'
import { jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'
import { noHolders, readHolders, stateText, timesOf } from './task-state.js'

/** `ptq show` */
export const showCommand = defineCommand({
  command: 'show <queue> <id>',
  describe: 'Show one task with its failures, wherever it is: in the queue or among the dead letters',
  builder: yargs =>
    queueArgument(yargs)
      .positional('id', {
        type: 'string',
        demandOption: true,
        describe: 'As ls prints it, or its unique beginning; of a task in a pack, whole',
      })
      .option('json', { type: 'boolean', describe: 'Print JSON' })
      .example('$0 show ./queue 0f8fad5b-d9cb-469f-a165-70867728950e', ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      async queue => {
        const found = await findAnywhere(queue, args.id)
        if (found === undefined) throw new Error(`There is no task ${args.id} in ${queue.url} or its dead letters`)
        const { task, state } = found
        const holders = state === 'leased' ? await readHolders(queue) : noHolders
        if (args.json) {
          const { id, failures, inPack } = task
          const shown = { id, state, ...timesOf(task, holders), ...(inPack && { inPack }) }
          await (await jsonPrinter())({ ...shown, payload: inPack?.isDone ? undefined : task.payload(), failures })
          return
        }
        await printLine(`Id: ${task.id}`)
        await printLine(`State: ${stateText(task, state, holders)}`)
        if (task.inPack !== undefined) {
          const { id, index, count, isDone } = task.inPack
          await printLine(`In pack: ${id}, task ${index} from 0, ${count} left`)
          if (isDone) {
            await printLine(
              'Done: it has ended or left its pack, by what was last written (at most 5 s ago while that runs)',
            )
            return
          }
        }
        await printLine(`Task: ${printable(task.name)}`)
        await printLine(`Payload: ${printable(task.payloadText)}`)
        await printLine(`Failures: ${task.failures.length}`)
        for (const failure of task.failures) {
          await printLine(failureLine(failure))
          for (const line of stackLines(failure)) await printLine(line)
        }
      },
      { notOnSqs: "can't list its tasks, so it finds none by its id: SQS shows them by leasing only" },
    ),
})

async function findAnywhere(queue: TaskQueue, id: string) {
  const queued = await inQueue(queue, id)
  if (queued === undefined) return amongFailures(queue, id)
  // It may have left its pack as a dead letter.
  const mayBeDead = queued.task.inPack?.isDone === true && (await queue.failed()) > 0
  return (mayBeDead ? await amongFailures(queue, id) : undefined) ?? queued
}

async function inQueue(queue: TaskQueue, id: string) {
  const task = await queue.find(id)
  return task && { task, state: task.state }
}

async function amongFailures(queue: TaskQueue, id: string) {
  const task = await queue.findFailure(id)
  return task && { task, state: 'failed' }
}

/** Where it was thrown, as far as the queue has it: with the last failure of a dead letter. */
function stackLines({ reason, stack = '' }: Failure): string[] {
  const lines = stack.split('\n').map(line => `     ${printable(line)}`)
  return stack === '' ? [] : lines.filter(line => line.trim() !== printable(reason))
}

function failureLine({ attempt, reason, host, pid, failedAtMs, durationSeconds }: Failure): string {
  // Another program may have written an invalid time.
  const date = new Date(failedAtMs)
  const when = Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toISOString()
  return `  ${attempt}. ${when} on ${printable(host)} (process ${pid}) after ${durationSeconds.toFixed(1)} s: ${printable(reason)}`
}
