import { lastReason } from '../queue/queued-task.js'
import { ReasonCounts } from '../queue/reason-counts.js'
import { numberOption, textOption } from './option-values.js'
import { jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, noDeadLetters, queueArgument, queueUrl, requireQueue, withQueue } from './queue-arguments.js'

/** `ptq failures` */
export const failuresCommand = defineCommand({
  command: 'failures <queue>',
  describe: 'List the dead letters: id, name, attempts and last reason, with tabs between',
  builder: yargs =>
    queueArgument(yargs)
      .option('group', {
        type: 'boolean',
        describe: 'Count them by reason, the most frequent first; … for values that vary',
      })
      .option('dead-letter', textOption('--dead-letter', "The queue of the dead letters (default: the queue's own)"))
      .option('limit', numberOption('--limit', 'At most so many dead letters, or groups', { integer: true, min: 1 }))
      .option('json', { type: 'boolean', describe: 'Print a line of JSON for each' })
      .example('# Why do tasks fail?\n$0 failures ./queue --group', '')
      .example('# Then put back those that deserve it\n$0 retry ./queue --match ENOSPC', ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      async queue => {
        await requireQueue(queue)
        const letters = queue.failures(args.deadLetter === undefined ? {} : { deadLetter: queueUrl(args.deadLetter) })
        const printJson = args.json ? await jsonPrinter() : undefined
        const limit = args.limit ?? Number.POSITIVE_INFINITY
        if (args.group) {
          const reasons = new ReasonCounts()
          for await (const letter of letters) reasons.add(lastReason(letter), letter.id)
          for (const { reason, count } of reasons.groups().slice(0, limit)) {
            await (printJson?.({ count, reason }) ?? printLine(`${count}\t${printable(reason)}`))
          }
          return
        }
        let left = limit
        for await (const letter of letters) {
          const { id, name, failures } = letter
          await (printJson?.({ id, payload: letter.payload(), failures }) ??
            printLine(`${id}\t${printable(name)}\t${failures.length}\t${printable(lastReason(letter))}`))
          if (--left === 0) break
        }
      },
      { notOnSqs: args.deadLetter === undefined ? noDeadLetters : undefined },
    ),
})
