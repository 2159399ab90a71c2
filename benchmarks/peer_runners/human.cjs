// human in WebAssembly: boxes, mesh of 468 points, irises, age, gender, emotion. Speaks as speak.py tells.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const url = require('url');

const answers = fs.openSync('/proc/self/fd/1', 'w');
const say = (answer) => fs.writeSync(answers, JSON.stringify(answer) + '\n');
for (const name of ['log', 'info', 'warn']) console[name] = () => {}; // what it prints must not stand between answers

// Node's fetch knows no file: addresses, by which the models are named.
const web = globalThis.fetch;
globalThis.fetch = async (place, ...more) => (String(place).startsWith('file:')
  ? new Response(fs.readFileSync(url.fileURLToPath(String(place))))
  : web(place, ...more));

const status = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
const seconds = (began) => Number(process.hrtime.bigint() - began) / 1e9;
let human;
let wasm;

async function open(request) {
  const modules = path.join(request.folder, 'node_modules');
  let began = process.hrtime.bigint();
  wasm = require(path.join(modules, '@tensorflow/tfjs-backend-wasm'));
  const { Human } = require(path.join(modules, '@vladmandic/human/dist/human.node-wasm.js'));
  const imported = seconds(began);
  began = process.hrtime.bigint();
  wasm.setThreadsCount(request.threads);
  human = new Human({
    backend: 'wasm',
    wasmPath: path.join(modules, '@tensorflow/tfjs-backend-wasm/dist') + path.sep,
    modelBasePath: url.pathToFileURL(path.join(modules, '@vladmandic/human/models')).href + '/',
    cacheSensitivity: 0, // every picture is analysed, never answered from the one before
    filter: { enabled: false },
    gesture: { enabled: false },
    body: { enabled: false },
    hand: { enabled: false },
    object: { enabled: false },
    segmentation: { enabled: false },
    face: { detector: { maxDetected: 64, ...(request.score === null ? {} : { minConfidence: request.score }) } },
  });
  await human.load();
  if (human.tf.getBackend() !== 'wasm') throw new Error(`it runs on ${human.tf.getBackend()}, not on wasm`);
  return { import_s: imported, open_s: seconds(began), rss_mib: status('VmRSS') };
}

async function detect(rgb, request) {
  const tensor = human.tf.tensor3d(rgb, [request.height, request.width, 3], 'int32');
  const result = await human.detect(tensor);
  human.tf.dispose(tensor);
  if (result.error) throw new Error(result.error);
  return result.face;
}

async function run(request) {
  const pixels = fs.readFileSync(request.file);
  const rgb = new Int32Array(pixels);
  let found = [];
  const ns = [];
  const before = process.cpuUsage();
  for (let i = 0; i < request.times; i++) {
    const began = process.hrtime.bigint();
    found = await detect(rgb, request);
    ns.push(Number(process.hrtime.bigint() - began));
  }
  const used = process.cpuUsage(before);
  return { faces: found.map(face), ns, cpu_ns: (used.user + used.system) * 1000, peak_mib: status('VmHWM') };
}

function face(found) {
  const [x, y, width, height] = found.box;
  const answer = { box: [x, y, x + width, y + height], score: found.score, points: [] };
  if (!found.gender || found.age === undefined) return answer;
  return { ...answer, age: found.age, male: found.gender === 'male' ? 0.5 + found.genderScore / 2 : 0.5 - found.genderScore / 2 };
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      say(await (request.do === 'open' ? open(request) : run(request)));
    } catch (error) {
      say({ error: `${error.name}: ${error.message}` });
    }
  }
})();
