import { createServer, type Server } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import type { ArgumentsCamelCase, Argv } from 'yargs'
import { codeOf, nameAndMessageOf } from '../errors/thrown.js'
import { isLoopback, loopbackHosts, urlHost } from '../http/hosts.js'
import { closeServer, listen } from '../http/listen.js'
import type { TaskQueue } from '../index.js'
import { onAbort } from '../time/on-abort.js'
import { interruptible } from './interruption.js'
import { numberOption, textOption } from './option-values.js'
import { printLine } from './printing.js'
import {
  defineCommand,
  type QueueArguments,
  queueOptions,
  queueUrl,
  requireFittingFlags,
  withOpenQueue,
} from './queue-arguments.js'
import { UsageError } from './usage-error.js'

/** Where the page is unless a port is named; another one if this is taken. */
const defaultPort = 4747

/** `ptq serve` */
export const serveCommand = defineCommand({
  command: 'serve <queues..>',
  describe: 'Show queues on a web page: numbers over time, workers, failures, tasks',
  builder: yargs =>
    serveOptions(queueOptions(yargs))
      .example('# Prints a link that opens the page\n$0 serve ./queue', '')
      .example('$0 serve ./queue ./other --actions', '')
      .example(
        '# From a laptop, on the machine that sees the queue: ssh -L 4747:localhost:4747 cluster\n$0 serve ./queue',
        '',
      ),
  handler: async args => {
    const urls = [...new Set(args.queues.map(queueUrl))]
    requireFittingFlags(urls, args)
    if (args.deadLetter !== undefined && urls.length > 1) {
      throw new UsageError('Expected --dead-letter with one queue only: start one page for each')
    }
    if (args.deadLetter !== undefined && urls.includes(queueUrl(args.deadLetter))) {
      throw new UsageError(`Expected --dead-letter to be another queue than the one itself, got ${args.deadLetter}`)
    }
    await withQueues(urls, args, queues => interruptible(signal => serve(queues, args, signal), { quiet: true }))
  },
})

type ServeArguments = ReturnType<typeof serveOptions> extends Argv<infer Args> ? ArgumentsCamelCase<Args> : never

function serveOptions<Args extends QueueArguments>(yargs: Argv<Args>) {
  return yargs
    .positional('queues', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'Folders, or URLs such as sqs://name',
    })
    .option('actions', { type: 'boolean', describe: 'Let the page change queues: retry, release, delete, insert' })
    .option(
      'port',
      numberOption('--port', `The port (default: ${defaultPort}, or another one if it is taken)`, {
        integer: true,
        min: 0,
        max: 65_535,
      }),
    )
    .option('host', textOption('--host', 'The address to listen on (default: 127.0.0.1, this machine only)'))
    .option('allow-host', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'A further name under which browsers reach the page. May be repeated',
    })
    .option('interval-sec', numberOption('--interval-sec', 'Seconds between two readings (default: 2)', { min: 0.1 }))
    .option('dead-letter', textOption('--dead-letter', "The queue of the dead letters (default: the queue's own)"))
}

/** Opens all queues, one inside the other. */
function withQueues(
  [url, ...others]: readonly string[],
  args: QueueArguments,
  work: (queues: readonly TaskQueue[]) => Promise<void>,
): Promise<void> {
  if (url === undefined) return work([])
  return withOpenQueue(url, args, queue => withQueues(others, args, queues => work([queue, ...queues])))
}

async function serve(queues: readonly TaskQueue[], args: ServeArguments, signal: AbortSignal): Promise<void> {
  // Reading a hundred thousand dead letters makes a gigabyte of garbage. V8 would rather let the heap grow than collect it, which
  // takes more memory than a server has that runs beside other things for days; no request here needs the time.
  setFlagsFromString('--optimize-for-size')
  const { dashboard } = await import('../dashboard/index.js')
  const { host = '127.0.0.1', deadLetter, intervalSec: intervalSeconds, actions = false } = args
  const server = createServer()
  const port = await listenFor(server, host, args.port)
  const address = `http://${urlHost(host === '0.0.0.0' || host === '::' ? hostname() : host)}:${port}/`
  const page = dashboard(
    queues.map(queue => ({ queue, ...(deadLetter !== undefined && { deadLetter: queueUrl(deadLetter) }) })),
    {
      actions,
      hosts: [...hostsOf(host), ...(args.allowHost ?? [])],
      ...(intervalSeconds !== undefined && { intervalSeconds }),
      onSignIn: () => void printLine(`A browser was signed in. For another one: ${address}${page.newLink()}`),
    },
  )
  server.on('request', page)
  if (!isLoopback(host)) {
    console.error(
      'ptq: warning: others on the network reach this page. It is not encrypted: who can read the traffic sees the tasks ' +
        `and can take over a session${actions ? ', and change the queues' : ''}. /metrics needs no link.`,
    )
  }
  await printLine(`Open ${address}${page.newLink()}`)
  await printLine('The link works once. Ctrl-C ends the page; it leases nothing and stores nothing in the queue.')
  await aborted(signal)
  await page.close()
  await closeServer(server)
}

/** Listens on the port that was asked for, or on the default one, or if that is taken on any. */
async function listenFor(server: Server, host: string, port: number | undefined): Promise<number> {
  try {
    return await listen(server, { host, port: port ?? defaultPort })
  } catch (cause) {
    if (port === undefined && codeOf(cause) === 'EADDRINUSE') return listen(server, { host, port: 0 })
    const where = `${host} port ${port ?? defaultPort}`
    throw new UsageError(`Expected --host and --port to be free, got ${where}: ${nameAndMessageOf(cause)}`, { cause })
  }
}

/** Names under which browsers may reach a page on this address. */
function hostsOf(host: string): readonly string[] {
  if (isLoopback(host)) return loopbackHosts
  const own = Object.values(networkInterfaces()).flatMap(addresses => (addresses ?? []).map(({ address }) => address))
  return [...loopbackHosts, urlHost(host), hostname(), ...own.filter(each => !each.includes('%')).map(urlHost)]
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => onAbort(signal, resolve))
}
