import { printable, printLine } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'

/** `ptq rezero` */
export const rezeroCommand = defineCommand({
  command: 'rezero <queue>',
  describe: 'Set the counts of inserted and completed tasks to 0',
  builder: yargs => queueArgument(yargs).example('# Count from here\n$0 rezero ./queue', ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      async queue => {
        await queue.rezero()
        await printLine(`The counts of ${printable(queue.url)} are 0`)
      },
      { notOnSqs: 'keeps no counts of inserted and completed tasks to rezero' },
    ),
})
