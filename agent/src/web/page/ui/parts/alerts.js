// Alerts that are pending or fire: what is wrong, since when, where to look, and what to do.
import { html } from '../vendor/preact.js';
import { getJson, useData } from '../api.js';
import { keep } from '../location.js';
import { ago, clock } from '../format.js';

const URGENCY = ['critical', 'error', 'warning', 'info'];
const urgency = (alert) => (URGENCY.indexOf(alert.labels.severity) + URGENCY.length + 1) % (URGENCY.length + 1);

/** As many as leave room for the services on a small screen. */
const FIRST = 5;

/** The page draws the dashboards itself: of an address of Grafana's only the dashboard and its variables count. */
function board(address) {
  const at = /\/d\/([^?#]+)(\?[^#]*)?/.exec(address ?? '');
  return at && `/d/${at[1]}${at[2] ?? ''}`;
}

const web = (address) => (/^https?:\/\//.test(address ?? '') ? address : null);

export function Alerts({ every, stamp }) {
  const { data } = useData((signal) => getJson('/api/v1/alerts', signal), [stamp], every);
  const alerts = (data?.data?.alerts ?? []).filter((alert) => alert.labels.severity !== 'none');
  if (alerts.length === 0) return null;
  alerts.sort((a, b) => (a.state === b.state ? urgency(a) - urgency(b) : a.state === 'firing' ? -1 : 1));
  const firing = alerts.filter((alert) => alert.state === 'firing').length;
  return html`<section class="alerts" aria-label="Alerts" aria-live="polite">
    <h2>${firing ? `${firing} ${firing === 1 ? 'alert fires' : 'alerts fire'}` : 'No alert fires yet'}</h2>
    <${List} alerts=${alerts.slice(0, FIRST)} />
    ${alerts.length > FIRST && html`<details><summary>${alerts.length - FIRST} more</summary><${List} alerts=${alerts.slice(FIRST)} /></details>`}
  </section>`;
}

const List = ({ alerts }) => html`<ul>${alerts.map((alert) => html`<li key=${JSON.stringify(alert.labels)} class=${alert.state}>
      <span class=${`badge ${alert.state === 'firing' && urgency(alert) < 2 ? 'failed' : 'degraded'}`}>${alert.state === 'firing' ? alert.labels.severity ?? 'firing' : 'pending'}</span>
      <span><strong>${alert.labels.alertname}</strong>${' '}${alert.annotations.summary ?? ''}
        <span class="note">${' '}since ${clock(Date.parse(alert.activeAt), false)}, ${ago(Date.parse(alert.activeAt))}</span></span>
      <span class="links">
        ${board(alert.annotations.dashboard_url) && html`<a href=${keep(board(alert.annotations.dashboard_url))}>dashboard</a>`}
        ${' '}${web(alert.annotations.runbook_url) && html`<a href=${alert.annotations.runbook_url} rel="noreferrer">runbook</a>`}
      </span></li>`)}</ul>`;
