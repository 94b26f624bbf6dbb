// Fills a queue, for cases that empty it: node fill.js ROOT COUNT
import { insertBare } from './floor.js'

const [root = '', count = ''] = process.argv.slice(2)
insertBare(root, Number(count))
