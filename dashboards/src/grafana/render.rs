//! From the types to Grafana's classic JSON (schema version 42, which 12 and 13 read).

use serde_json::{Map, Value, json};

use super::board::{Board, Variable};
use super::panel::{Kind, Panel, Query, Unit};
use crate::names::{label, metric};
use crate::uid;

const SCHEMA_VERSION: u32 = 42;

impl Board {
    /// The dashboard as Grafana reads it.
    pub fn render(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["sightline"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": false,
            "graphTooltip": 1,
            "timezone": "browser",
            "refresh": self.refresh,
            "time": { "from": self.from, "to": "now" },
            "timepicker": {},
            "fiscalYearStartMonth": 0,
            "liveNow": false,
            "templating": { "list": self.variables.iter().map(variable).collect::<Vec<_>>() },
            "annotations": { "list": annotations() },
            "links": [{
                "title": "Sightline", "type": "dashboards", "tags": ["sightline"], "asDropdown": true,
                "includeVars": true, "keepTime": true, "targetBlank": false, "icon": "external link",
                "tooltip": "the other dashboards, with the same filters and range"
            }],
            "panels": self.flow(),
        })
    }

    /// Places panels from left to right, breaking where 24 columns are full.
    fn flow(&self) -> Vec<Value> {
        let mut out = Vec::new();
        let mut y = 0;
        for (title, panels) in &self.rows {
            if !title.is_empty() {
                out.push(json!({
                    "id": out.len() + 1, "type": "row", "title": title, "collapsed": false, "panels": [],
                    "gridPos": { "x": 0, "y": y, "w": 24, "h": 1 }
                }));
                y += 1;
            }
            let (mut x, mut tallest) = (0, 0);
            for panel in panels {
                if x + panel.width > 24 {
                    y += tallest;
                    (x, tallest) = (0, 0);
                }
                out.push(panel.render(out.len() + 1, x, y));
                x += panel.width;
                tallest = tallest.max(panel.height);
            }
            y += tallest;
        }
        out
    }
}

fn prometheus() -> Value {
    json!({ "type": "prometheus", "uid": uid::PROMETHEUS })
}

fn logs() -> Value {
    json!({ "type": "elasticsearch", "uid": uid::LOGS })
}

fn variable(variable: &Variable) -> Value {
    match variable {
        Variable::Label { name, label, series } => {
            let query = format!("label_values({series}, {label})");
            json!({
                "name": name, "label": name, "type": "query", "datasource": prometheus(), "definition": query,
                "query": { "query": query, "refId": "variable" }, "refresh": 2, "sort": 1, "multi": true,
                "includeAll": true, "hide": 0, "regex": "", "skipUrlSync": false, "options": [],
                "current": { "selected": true, "text": ["All"], "value": ["$__all"] }
            })
        }
        Variable::Text { name, title, value } => json!({
            "name": name, "label": title, "type": "textbox", "query": value, "hide": 0, "skipUrlSync": false,
            "options": [], "current": { "selected": true, "text": value, "value": value }
        }),
        Variable::Address { name, value } => json!({
            "name": name, "label": name, "type": "textbox", "query": value, "hide": 2, "skipUrlSync": false,
            "options": [], "current": { "selected": true, "text": value, "value": value }
        }),
    }
}

/// Marks over every graph: a version that was not there five minutes before, and alerts that fire.
fn annotations() -> Vec<Value> {
    let chosen = format!("{}=~\"$environment\",{}=~\"$service\"", label::ENVIRONMENT, label::SERVICE);
    let builds = format!("{}{{{chosen}}}", metric::BUILD_INFO);
    let by = format!("{}, {}, {}", label::ENVIRONMENT, label::SERVICE, label::VERSION);
    vec![
        json!({
            "name": "Deploys", "enable": true, "iconColor": "purple", "datasource": prometheus(),
            "expr": format!("group by ({by}) ({builds}) unless group by ({by}) ({builds} offset 5m)"),
            "step": "60s", "titleFormat": "deploy", "textFormat": "{{service}} {{version}}"
        }),
        json!({
            "name": "Alerts", "enable": true, "iconColor": "red", "datasource": prometheus(),
            "expr": format!("ALERTS{{alertstate=\"firing\",severity=~\"critical|warning\",{}=~\"$service|\"}}", label::SERVICE),
            "step": "60s", "titleFormat": "{{alertname}}", "textFormat": "{{service}}"
        }),
    ]
}

impl Panel {
    fn render(&self, id: usize, x: u32, y: u32) -> Value {
        let mut out = json!({
            "id": id, "title": self.title, "description": self.description, "type": self.kind.id(),
            "gridPos": { "x": x, "y": y, "w": self.width, "h": self.height },
            "options": self.options(),
            "transparent": false,
        });
        let extra = |out: &mut Value, key: &str, value: Value| {
            if let Value::Object(map) = out {
                map.insert(key.to_owned(), value);
            }
        };
        if self.kind == Kind::Text {
            return out;
        }
        let targets: Vec<Value> =
            self.queries.iter().zip('A'..='Z').map(|(q, letter)| q.render(letter, self.kind)).collect();
        if let Some(source) = targets.first().and_then(|t| t.get("datasource")) {
            extra(&mut out, "datasource", source.clone());
        }
        extra(&mut out, "targets", Value::Array(targets));
        extra(&mut out, "fieldConfig", self.field_config());
        if self.kind == Kind::Table {
            extra(&mut out, "transformations", self.transformations());
        }
        if !self.links.is_empty() && matches!(self.kind, Kind::Logs | Kind::Trace) {
            extra(&mut out, "links", self.panel_links());
        }
        out
    }

    fn links_json(&self) -> Value {
        self.links
            .iter()
            .map(|(title, url)| json!({ "title": title, "url": url, "targetBlank": false }))
            .collect()
    }

    /// Links in the panel's corner, for panels whose rows are not values with links of their own.
    fn panel_links(&self) -> Value {
        self.links
            .iter()
            .map(|(title, url)| {
                json!({
                    "title": title, "url": url, "type": "link", "icon": "external link", "tooltip": "", "tags": [],
                    "asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": false
                })
            })
            .collect()
    }

    fn field_config(&self) -> Value {
        let first = json!({ "color": "green", "value": null });
        let steps: Vec<Value> = match self.steps.as_slice() {
            [] => vec![first],
            steps => steps.iter().map(|s| json!({ "color": s.1, "value": s.0 })).collect(),
        };
        let mut defaults = json!({
            "unit": self.unit.id(), "noValue": self.no_value, "mappings": self.mappings(),
            "thresholds": { "mode": "absolute", "steps": steps },
            "color": { "mode": if self.steps.is_empty() { "palette-classic" } else { "thresholds" } },
        });
        if let Value::Object(map) = &mut defaults {
            if !self.links.is_empty() && !matches!(self.kind, Kind::Logs | Kind::Trace) {
                map.insert("links".into(), self.links_json());
            }
            if let Some((low, high)) = self.bounds {
                map.insert("min".into(), json!(low));
                map.insert("max".into(), json!(high));
            }
            if let Some(custom) = self.custom() {
                map.insert("custom".into(), custom);
            }
        }
        // Lines keep their own colours: a threshold there is a line to stay below, not a paint.
        if matches!(self.kind, Kind::Lines | Kind::Stacked | Kind::Bars) {
            defaults["color"] = json!({ "mode": "palette-classic" });
        }
        json!({ "defaults": defaults, "overrides": self.overrides() })
    }

    fn mappings(&self) -> Value {
        if self.mappings.is_empty() {
            return json!([]);
        }
        let mut options = Map::new();
        for (index, (value, text, color)) in self.mappings.iter().enumerate() {
            options.insert(format!("{value}"), json!({ "text": text, "color": color, "index": index }));
        }
        json!([{ "type": "value", "options": options }])
    }

    fn custom(&self) -> Option<Value> {
        let line = |draw: &str, fill: u32, stacked: bool| {
            json!({
                "drawStyle": draw, "lineWidth": 1, "fillOpacity": fill, "showPoints": "never", "spanNulls": false,
                "stacking": { "mode": if stacked { "normal" } else { "none" }, "group": "A" },
                "thresholdsStyle": { "mode": if self.steps.is_empty() { "off" } else { "dashed" } },
                "axisPlacement": "auto", "axisSoftMin": 0,
            })
        };
        match self.kind {
            Kind::Lines => Some(line("line", 5, false)),
            Kind::Stacked => Some(line("line", 40, true)),
            Kind::Bars => Some(line("bars", 70, true)),
            Kind::States => Some(json!({ "fillOpacity": 80, "lineWidth": 0 })),
            Kind::Table => Some(json!({ "align": "auto", "inspect": false, "filterable": true })),
            _ => None,
        }
    }

    /// A column's unit, and the colour of its cells where the panel has steps.
    fn overrides(&self) -> Value {
        self.columns
            .iter()
            .filter_map(|(_, heading, unit)| Some((heading, (*unit)?)))
            .map(|(heading, unit)| {
                json!({
                    "matcher": { "id": "byName", "options": heading },
                    "properties": [{ "id": "unit", "value": unit.id() }]
                })
            })
            .collect()
    }

    /// Joins the queries of a table by their labels, and names and orders its columns.
    fn transformations(&self) -> Value {
        let mut names = Map::new();
        let mut order = Map::new();
        for (index, (field, heading, _)) in self.columns.iter().enumerate() {
            names.insert((*field).to_owned(), json!(heading));
            order.insert((*field).to_owned(), json!(index));
        }
        let mut steps = Vec::new();
        if self.queries.len() > 1 {
            steps.push(json!({ "id": "merge", "options": {} }));
        }
        if !self.columns.is_empty() {
            let keep: Vec<&str> = self.columns.iter().map(|c| c.0).collect();
            steps.push(json!({ "id": "filterFieldsByName", "options": { "include": { "names": keep } } }));
            steps.push(json!({
                "id": "organize",
                "options": { "renameByName": names, "indexByName": order, "excludeByName": {} }
            }));
        }
        Value::Array(steps)
    }

    fn options(&self) -> Value {
        let last = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
        let legend = json!({ "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] });
        let tooltip = json!({ "mode": "multi", "sort": "desc" });
        match self.kind {
            Kind::Lines | Kind::Stacked | Kind::Bars => json!({ "legend": legend, "tooltip": tooltip }),
            Kind::Stat => json!({
                "reduceOptions": last, "colorMode": if self.steps.is_empty() { "value" } else { "background" },
                "graphMode": "none", "justifyMode": "auto", "textMode": "auto", "orientation": "auto",
                "wideLayout": true, "percentChangeColorMode": "standard", "showPercentChange": false
            }),
            Kind::Gauge => json!({
                "reduceOptions": last, "showThresholdLabels": false, "showThresholdMarkers": true,
                "orientation": "auto", "sizing": "auto", "minVizHeight": 75, "minVizWidth": 75
            }),
            Kind::BarGauge => json!({
                "reduceOptions": last, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": true,
                "valueMode": "color", "namePlacement": "auto", "sizing": "auto", "minVizHeight": 16,
                "minVizWidth": 8, "maxVizHeight": 300, "legend": legend
            }),
            Kind::Table => json!({ "showHeader": true, "cellHeight": "sm", "frameIndex": 0 }),
            Kind::Text => json!({ "mode": "markdown", "content": self.text }),
            Kind::Pie => json!({
                "reduceOptions": last, "pieType": "donut", "displayLabels": ["name", "percent"],
                "legend": { "displayMode": "table", "placement": "right", "showLegend": true, "values": ["value"], "calcs": [] },
                "tooltip": tooltip
            }),
            Kind::Logs => json!({
                "showTime": true, "showLabels": false, "showCommonLabels": false, "wrapLogMessage": true,
                "prettifyLogMessage": false, "enableLogDetails": true, "showLogContextToggle": false, "dedupStrategy": "none", "sortOrder": "Descending"
            }),
            Kind::Trace => json!({}),
            Kind::States => json!({
                "legend": legend, "tooltip": { "mode": "single", "sort": "none" }, "showValue": "auto",
                "mergeValues": true, "rowHeight": 0.9, "alignValue": "left"
            }),
            Kind::Heatmap => json!({
                "calculate": false, "yAxis": { "unit": self.unit.id(), "axisPlacement": "left" },
                "color": { "mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false },
                "cellGap": 1, "cellValues": { "unit": Unit::PerSecond.id() }, "filterValues": { "le": 1e-9 },
                "rowsFrame": { "layout": "auto" }, "showValue": "never",
                "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": true },
                "legend": { "show": true }, "exemplars": { "color": "rgba(255,0,255,0.7)" }, "selectionMode": "x"
            }),
        }
    }
}

impl Kind {
    /// Grafana's name of the panel's plugin.
    pub fn id(self) -> &'static str {
        match self {
            Kind::Lines | Kind::Stacked | Kind::Bars => "timeseries",
            Kind::Stat => "stat",
            Kind::Table => "table",
            Kind::Text => "text",
            Kind::Gauge => "gauge",
            Kind::BarGauge => "bargauge",
            Kind::Heatmap => "heatmap",
            Kind::Pie => "piechart",
            Kind::Logs => "logs",
            Kind::Trace => "traces",
            Kind::States => "state-timeline",
        }
    }
}

impl Query {
    fn render(&self, letter: char, kind: Kind) -> Value {
        // Grafana takes cumulative buckets apart only in this format, and reduces a table to its last row alone.
        let (range, instant) = match kind {
            Kind::Heatmap => ("heatmap", "time_series"),
            Kind::Table => ("time_series", "table"),
            _ => ("time_series", "time_series"),
        };
        let records = |lucene: &str, metrics: Value, buckets: Value| {
            json!({
                "refId": letter.to_string(), "datasource": logs(), "query": lucene, "timeField": "@timestamp",
                "metrics": metrics, "bucketAggs": buckets
            })
        };
        let terms = |id: usize, field: &str, size: u32| {
            json!({
                "id": id.to_string(), "type": "terms", "field": field,
                "settings": { "size": size.to_string(), "order": "desc", "orderBy": "_count", "min_doc_count": "1" }
            })
        };
        match self {
            Query::Range { expr, legend, exemplars } => json!({
                "refId": letter.to_string(), "datasource": prometheus(), "expr": expr, "legendFormat": legend,
                "range": true, "instant": false, "exemplar": exemplars, "editorMode": "code", "format": range
            }),
            Query::Instant { expr, legend } => json!({
                "refId": letter.to_string(), "datasource": prometheus(), "expr": expr, "legendFormat": legend,
                "range": false, "instant": true, "exemplar": false, "editorMode": "code", "format": instant
            }),
            Query::Logs { lucene } => records(
                lucene,
                json!([{ "id": "1", "type": "logs", "settings": { "limit": "500" } }]),
                json!([]),
            ),
            Query::Records { lucene, size } => records(
                lucene,
                json!([{ "id": "1", "type": "raw_data", "settings": { "size": size.to_string() } }]),
                json!([]),
            ),
            Query::Volume { lucene, by } => {
                let mut buckets: Vec<Value> = by.iter().map(|field| terms(2, field, 10)).collect();
                buckets.push(json!({
                    "id": "3", "type": "date_histogram", "field": "@timestamp",
                    "settings": { "interval": "auto", "min_doc_count": "0" }
                }));
                records(lucene, json!([{ "id": "1", "type": "count" }]), Value::Array(buckets))
            }
            Query::Terms { lucene, terms: fields, distinct } => {
                let mut metrics = vec![json!({ "id": "1", "type": "count" })];
                if let Some(field) = distinct {
                    metrics.push(json!({ "id": "9", "type": "cardinality", "field": field }));
                }
                let buckets: Vec<Value> =
                    fields.iter().enumerate().map(|(i, f)| terms(i + 2, f, 20)).collect();
                records(lucene, Value::Array(metrics), Value::Array(buckets))
            }
            Query::Trace { id } => json!({
                "refId": letter.to_string(), "datasource": { "type": "zipkin", "uid": uid::ZIPKIN },
                "query": id, "queryType": "traceID"
            }),
        }
    }
}
