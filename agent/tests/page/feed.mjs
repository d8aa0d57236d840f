// Series of a machine and of a Go process, as their own exporters name them, sent by StatsD: what the two foreign dashboards ask for.
import { createSocket } from 'node:dgram';

/** Sends to the agent's StatsD port once a second until `stop`. */
export async function feed(url) {
  const ready = await (await fetch(`${url}/-/ready`)).json();
  const [, host, port] = /udp ([\d.]+):(\d+)/.exec(ready.checks.find((check) => check.name === 'statsd').detail);
  const socket = createSocket('udp4');
  const began = Date.now();
  const send = () => {
    const lines = [];
    const on = 'instance:box-1,job:node';
    const [gauge, count] = [(name, value, tags = '') => lines.push(`${name}:${value}|g|#${on}${tags}`), (name, value, tags = '') => lines.push(`${name}:${value}|c|#${on}${tags}`)];
    const wave = Math.sin((Date.now() - began) / 20000);
    gauge('node_uname_info', 1, ',nodename:box-1');
    for (const cpu of [0, 1]) for (const [mode, share] of [['idle', 0.6 - wave / 5], ['user', 0.25 + wave / 5], ['system', 0.1], ['iowait', 0.05]]) count('node_cpu_seconds_total', share, `,cpu:${cpu},mode:${mode}`);
    gauge('node_memory_MemTotal_bytes', 8 * 2 ** 30);
    gauge('node_memory_MemAvailable_bytes', Math.round((3 + wave) * 2 ** 30));
    gauge('node_time_seconds', Math.round(Date.now() / 1000));
    gauge('node_boot_time_seconds', Math.round(began / 1000) - 86400 * 3);
    for (const [mountpoint, size, free] of [['/', 40, 12], ['/home', 200, 60]]) {
      gauge('node_filesystem_size_bytes', size * 2 ** 30, `,mountpoint:${mountpoint},fstype:ext4`);
      gauge('node_filesystem_avail_bytes', free * 2 ** 30, `,mountpoint:${mountpoint},fstype:ext4`);
    }
    for (const device of ['eth0', 'eth1']) {
      count('node_network_receive_bytes_total', Math.round(90000 + 60000 * wave), `,device:${device}`);
      count('node_network_transmit_bytes_total', 50000, `,device:${device}`);
    }
    for (const job of ['api', 'worker']) {
      const go = (name, value, kind = 'g') => lines.push(`${name}:${value}|${kind}|#job:${job}`);
      go('go_goroutines', Math.round(40 + 20 * wave));
      go('go_memstats_heap_inuse_bytes', Math.round((30 + 10 * wave) * 2 ** 20));
      go('go_memstats_sys_bytes', 64 * 2 ** 20);
      go('go_memstats_alloc_bytes', Math.round((25 + 10 * wave) * 2 ** 20));
      go('go_memstats_alloc_bytes_total', 900000, 'c');
      go('go_gc_cycles_total', 1, 'c');
      go('go_up', 1);
    }
    for (let i = 0; i < lines.length; i += 12) socket.send(lines.slice(i, i + 12).join('\n'), port, host);
  };
  send();
  const timer = setInterval(send, 1000);
  return () => {
    clearInterval(timer);
    socket.close();
  };
}
