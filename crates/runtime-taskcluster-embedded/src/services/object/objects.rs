//! Objects and their uploads.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::error::RequestError;

/// An object, or an upload that becomes one.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) project_id: String,
    upload_id: String,
    pub(super) expires: Timestamp,
    pub(super) hashes: Map<String, Value>,
    finished: bool,
}

/// All objects by name.
#[derive(Debug, Default)]
pub(crate) struct Objects(HashMap<String, Object>);

impl Objects {
    /// Tells whether the object is there, not only its upload.
    pub(crate) fn is_finished(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|object| object.finished)
    }

    /// The object, or the refusal if it is not there.
    pub(super) fn finished(&self, name: &str) -> Result<&Object, RequestError> {
        let object = self.0.get(name).filter(|object| object.finished);
        object.ok_or_else(|| RequestError::not_found(format!("Object {name:?} not found")))
    }

    /// Starts an upload, or goes on with the same one.
    pub(super) fn start(&mut self, name: &str, call: &Call) -> Result<(), RequestError> {
        let object = self.0.entry(name.to_owned()).or_insert_with(|| Object {
            project_id: call.text("projectId").to_owned(),
            upload_id: call.text("uploadId").to_owned(),
            expires: call.instant("expires"),
            hashes: Map::new(),
            finished: false,
        });
        let same = object.upload_id == call.text("uploadId")
            && object.project_id == call.text("projectId")
            && object.expires == call.instant("expires");
        if !same || object.finished {
            let message = "an object of that name exists, or is being uploaded by another upload";
            return Err(RequestError::conflict(message));
        }
        object.add_hashes(call)
    }

    /// Ends an upload.
    pub(super) fn finish(&mut self, name: &str, call: &Call) -> Result<(), RequestError> {
        let object = self.0.get_mut(name);
        let object = object.filter(|object| object.project_id == call.text("projectId"));
        let object =
            object.ok_or_else(|| RequestError::not_found(format!("Object {name:?} not found")))?;
        if object.upload_id != call.text("uploadId") {
            return Err(RequestError::conflict(
                "the upload of this object has another uploadId",
            ));
        }
        object.add_hashes(call)?;
        object.finished = true;
        Ok(())
    }
}

impl Object {
    /// Adds hashes; those that are known cannot change.
    fn add_hashes(&mut self, call: &Call) -> Result<(), RequestError> {
        for (name, value) in call.payload["hashes"].as_object().into_iter().flatten() {
            let known = self
                .hashes
                .entry(name.clone())
                .or_insert_with(|| value.clone());
            if known != value {
                return Err(RequestError::conflict(format!(
                    "the {name} of this object is known and differs"
                )));
            }
        }
        Ok(())
    }
}
