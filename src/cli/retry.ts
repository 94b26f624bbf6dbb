import { interruptible } from './interruption.js'
import { textOption } from './option-values.js'
import { countOf, jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, noDeadLetters, queueArgument, queueUrl, requireQueue, withQueue } from './queue-arguments.js'

/** `ptq retry` */
export const retryCommand = defineCommand({
  command: 'retry <queue>',
  describe: 'Put dead letters back into the queue, with attempts counted from 1',
  builder: yargs =>
    queueArgument(yargs)
      .option(
        'match',
        textOption(
          '--match',
          'Only those whose id, payload or last reason contains this text; also a pack that holds the task of this id',
        ),
      )
      .option('group', textOption('--group', 'Only those whose last reason is of this group of failures --group'))
      .option('dead-letter', textOption('--dead-letter', "The queue of the dead letters (default: the queue's own)"))
      .option('json', { type: 'boolean', describe: 'Print JSON' })
      .example('# All of them\n$0 retry ./queue', '')
      .example("$0 retry ./queue --match 'No space left'", ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      queue =>
        interruptible(async signal => {
          await requireQueue(queue)
          const { match, group, deadLetter } = args
          const retried = await queue.retry({
            signal,
            ...(match !== undefined && { match }),
            ...(group !== undefined && { group }),
            ...(deadLetter !== undefined && { deadLetter: queueUrl(deadLetter) }),
          })
          if (args.json) await (await jsonPrinter())({ retried })
          else await printLine(`Put ${countOf(retried)} back into ${printable(queue.url)}`)
        }),
      { notOnSqs: args.deadLetter === undefined ? noDeadLetters : undefined },
    ),
})
