import { countOf, jsonPrinter, printable, printLine } from './printing.js'
import { defineCommand, queueArgument, withQueue } from './queue-arguments.js'

/** `ptq release` */
export const releaseCommand = defineCommand({
  command: 'release <queue>',
  describe: 'Free every leased task, for when all workers are known to be dead',
  builder: yargs =>
    queueArgument(yargs)
      .option('json', { type: 'boolean', describe: 'Print JSON' })
      .example('# Tasks of dead workers are run again at once\n$0 release ./queue', ''),
  handler: args =>
    withQueue(
      args.queue,
      args,
      async queue => {
        const released = await queue.releaseAll()
        if (args.json) await (await jsonPrinter())({ released })
        else await printLine(`Released ${countOf(released)} of ${printable(queue.url)}`)
      },
      { notOnSqs: "can't release what others have leased: wait until the leases end" },
    ),
})
